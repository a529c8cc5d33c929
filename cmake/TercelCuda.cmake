# The CUDA half, libtercel_cuda.so, which the rest opens at run time. Sets TERCEL_WITH_CUDA.
#
#   TERCEL_CUDA               OFF: left out, the default: it takes minutes to compile; AUTO: built where nvcc
#                             is found; ON: required
#   TERCEL_CUDA_ARCHITECTURES as CMAKE_CUDA_ARCHITECTURES. The default has machine code for compute
#                             capability 8.0 (and what runs it) and 9.0, and PTX for newer devices; a
#                             developer's build is twice as fast with the one that is at hand.
set(TERCEL_CUDA OFF CACHE STRING "Build the CUDA half: AUTO, ON or OFF")
set_property(CACHE TERCEL_CUDA PROPERTY STRINGS AUTO ON OFF)
set(TERCEL_CUDA_ARCHITECTURES "80;90a-real" CACHE STRING "What the CUDA kernels are compiled for")
set(TERCEL_WITH_CUDA OFF)

if(NOT TERCEL_CUDA STREQUAL OFF)
  file(GLOB packaged ${PROJECT_SOURCE_DIR}/.venv-cuda/lib/python3*/site-packages/nvidia/cu13)
  find_program(TERCEL_NVCC nvcc PATHS ENV CUDA_HOME /usr/local/cuda ${packaged} PATH_SUFFIXES bin)
  if(TERCEL_NVCC)
    set(TERCEL_WITH_CUDA ON)
  elseif(TERCEL_CUDA STREQUAL AUTO)
    message(STATUS "CUDA: no nvcc, so libtercel_cuda.so is left out")
  else()
    message(FATAL_ERROR "TERCEL_CUDA=ON, but there is no nvcc: run scripts/setup --with-cuda, or put that of CUDA 13 on the path")
  endif()
endif()
if(NOT TERCEL_WITH_CUDA)
  return()
endif()

set(CMAKE_CUDA_COMPILER ${TERCEL_NVCC})
set(CMAKE_CUDA_ARCHITECTURES ${TERCEL_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
# PyPI's packages have their libraries in lib, where nvcc does not look by itself.
cmake_path(GET TERCEL_NVCC PARENT_PATH root)
cmake_path(GET root PARENT_PATH root)
if(EXISTS ${root}/lib/libcudart_static.a)
  string(APPEND CMAKE_CUDA_FLAGS " -L${root}/lib")
endif()
set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} --expt-relaxed-constexpr -Werror=all-warnings")
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
# Not before: CMake 3.25 knows no C++20 of nvcc, and its check of the compiler would fail.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "${TERCEL_NVCC} is of CUDA ${CMAKE_CUDA_COMPILER_VERSION}: 13 or newer is needed")
endif()
# CMake 3.25's FindCUDAToolkit asks for libraries that PyPI's packages leave out, and nothing here uses.
find_library(TERCEL_CUDART cudart_static HINTS ${root} PATH_SUFFIXES lib64 lib NO_DEFAULT_PATH REQUIRED)
add_library(CUDA::cudart_static STATIC IMPORTED)
set_target_properties(CUDA::cudart_static PROPERTIES IMPORTED_LOCATION ${TERCEL_CUDART}
  INTERFACE_INCLUDE_DIRECTORIES ${root}/include INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};rt")
message(STATUS "CUDA: ${TERCEL_NVCC} for ${TERCEL_CUDA_ARCHITECTURES}")

# tercel_cuda_library(): the library, once every layer is there.
function(tercel_cuda_library)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/device/cuda/*.cc
    ${PROJECT_SOURCE_DIR}/src/ops/cuda_*.cc ${PROJECT_SOURCE_DIR}/src/ops/*/*_cuda.cc)
  add_library(tercel_cuda SHARED ${sources} $<TARGET_OBJECTS:tercel_kernels_cuda>)
  target_link_libraries(tercel_cuda PRIVATE tercel_ops_cpu CUDA::cudart_static ${CMAKE_DL_LIBS})
  # One function is its interface; what it has of other layers is its own copy.
  target_link_options(tercel_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,-Bsymbolic)
  # Few sources for the host, which name their parts alike: they stay units of their own.
  set_target_properties(tercel_cuda tercel_kernels_cuda PROPERTIES UNITY_BUILD OFF)
  set_target_properties(tercel_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  install(TARGETS tercel_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cuda)
endfunction()
