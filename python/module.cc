#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "tercel/version.h"

NB_MODULE(_tercel, module) { module.attr("__version__") = tercel::version(); }
