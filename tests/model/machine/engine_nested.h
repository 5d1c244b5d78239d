/* Nested paging as the model's host sees it: vmmu_nested behind struct engine_class. */
#ifndef TESTS_MODEL_MACHINE_ENGINE_NESTED_H
#define TESTS_MODEL_MACHINE_ENGINE_NESTED_H

#include "tests/model/machine/engine.h"

extern const struct engine_class engine_npt;
extern const struct engine_class engine_ept;

#endif
