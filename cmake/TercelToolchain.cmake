# What every target of the project is compiled with: C++20, warnings as errors, hidden symbols, and a
# fast linker and ccache where the machine has them.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O2 for all: the kernels ask for more where it pays, and -O3 elsewhere is only larger.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# Tests are compiled in two thirds of the time; what they wait for is the library.
set(TERCEL_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
foreach(option -Wall -Wextra -Werror -Wno-missing-field-initializers -ffunction-sections -fdata-sections)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:${option}>)
endforeach()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)  # a source looks like a header in a unit
endif()
add_link_options(-Wl,--gc-sections -Wl,--as-needed)

find_program(CCACHE ccache)
if(CCACHE)
  # Without these ccache keeps nothing that is compiled with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
  add_link_options(-fuse-ld=mold)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  find_program(LLD ld.lld)
  if(LLD)
    add_link_options(-fuse-ld=lld)
  endif()
endif()

if(TERCEL_SANITIZE)
  foreach(option -fsanitize=${TERCEL_SANITIZE} -fno-omit-frame-pointer -g1)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:${option}>)
  endforeach()
  add_link_options(-fsanitize=${TERCEL_SANITIZE})
  if(TERCEL_SANITIZE MATCHES undefined)
    # Null pointers fault in any case; the other two seldom find anything, and checks of types take a quarter of the
    # compiler's time.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=undefined>)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,object-size,vptr>)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Each access of an unrolled micro-kernel is checked: unrolled, one file of kernels takes minutes to compile.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-pass-failed>
      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-mllvm -pragma-unroll-threshold=0>")
  endif()
endif()
if(TERCEL_FUZZ)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# tercel_precompile(<target>): the standard library and GoogleTest are parsed once, which saves a third of the time. The
# preset `lint` does without, and so shows that files include what they use.
function(tercel_precompile target)
  get_target_property(kind ${target} TYPE)
  set(precompiled tercel_precompiled_${kind})
  if(NOT TARGET ${precompiled})
    file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "")
    add_library(${precompiled} OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
    target_precompile_headers(${precompiled} PRIVATE <algorithm> <cmath> <filesystem> <functional> <map> <memory>
      <optional> <span> <string> <unordered_map> <variant> <vector> <fmt/format.h>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      target_compile_options(${precompiled} PRIVATE -fpch-instantiate-templates)
    endif()
    if(kind STREQUAL "EXECUTABLE")  # compilers want both compiled alike: -fPIE, not -fPIC
      set_target_properties(${precompiled} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${precompiled} PRIVATE -fPIE ${TERCEL_TEST_OPTIONS})
      target_link_libraries(${precompiled} PRIVATE GTest::gmock GTest::gtest)
      target_precompile_headers(${precompiled} PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${precompiled})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # for ccache
  endif()
endfunction()
