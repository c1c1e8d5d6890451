#pragma once

void test_cpu_only();
