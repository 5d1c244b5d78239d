/* Shadow paging as the model's host sees it: vmmu_shadow behind struct engine_class. */
#ifndef TESTS_MODEL_MACHINE_ENGINE_SHADOW_H
#define TESTS_MODEL_MACHINE_ENGINE_SHADOW_H

#include "tests/model/machine/engine.h"

extern const struct engine_class engine_shadow;

#endif
