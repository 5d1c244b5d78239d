#include "tests/model/machine/engine_nested.h"
#include "tests/model/machine/engine_shadow.h"

const struct engine_class *const engines[] = { &engine_npt, &engine_ept, &engine_shadow, NULL };
