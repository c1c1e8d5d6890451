#pragma once

void test_winograd();
void test_deconvolution();
