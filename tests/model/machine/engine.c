#include "tests/model/machine/engine_nested.h"

const struct engine_class *const engines[] = { &engine_npt, &engine_ept, NULL };
