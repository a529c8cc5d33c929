#pragma once
// What libtercel.so shows to its users; everything else is hidden.

#if defined(__GNUC__)
#define TERCEL_API __attribute__((visibility("default")))
#else
#define TERCEL_API
#endif
