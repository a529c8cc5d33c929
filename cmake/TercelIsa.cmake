# Sources compiled once per instruction set, chosen at run time: nothing is compiled for the machine
# that builds. Each copy sees TERCEL_ISA, the name of its namespace, and must define nothing outside it
# (src/kernels/cpu/simd.h says how).
#
#   tercel_isa_sources(<target> <family> SOURCES <file>… ISAS <isa>…)
#
# ISAs: those of src/device/cpu_isa.h; only generic where the processor is not x86-64.
set(TERCEL_ISA_FLAGS_generic "")
set(TERCEL_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mtune=znver2)
set(TERCEL_ISA_FLAGS_avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl
    -mprefer-vector-width=512 -mtune=skylake-avx512)
set(TERCEL_ISA_FLAGS_avx2_vnni ${TERCEL_ISA_FLAGS_avx2} -mavxvnni)
set(TERCEL_ISA_FLAGS_avx512_vnni ${TERCEL_ISA_FLAGS_avx512} -mavx512vnni)
set(TERCEL_ISA_FLAGS_avx512_bf16 ${TERCEL_ISA_FLAGS_avx512_vnni} -mavx512bf16)
set(TERCEL_ISA_FLAGS_amx ${TERCEL_ISA_FLAGS_avx512_bf16} -mamx-tile -mamx-bf16 -mamx-int8)

# A sanitizer sees only what runs: of instruction sets that this machine lacks, a sanitized build has no more than the
# symbols, compiled as fast as can be.
set(TERCEL_ISA_NEEDS_avx512 avx512f)
set(TERCEL_ISA_NEEDS_avx2_vnni avx_vnni)
set(TERCEL_ISA_NEEDS_avx512_vnni avx512_vnni)
set(TERCEL_ISA_NEEDS_avx512_bf16 avx512_bf16)
set(TERCEL_ISA_NEEDS_amx amx_tile)
function(tercel_isa_never_runs isa result)
  set(${result} FALSE PARENT_SCOPE)
  if(TERCEL_SANITIZE AND DEFINED TERCEL_ISA_NEEDS_${isa} AND EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo has REGEX "^flags.* ${TERCEL_ISA_NEEDS_${isa}}( |$)" LIMIT_COUNT 1)
    if(NOT has)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(tercel_isa_sources target family)
  cmake_parse_arguments(ARG "" "" "SOURCES;ISAS" ${ARGN})
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    list(FILTER ARG_ISAS INCLUDE REGEX "^generic$")
  endif()
  foreach(isa ${ARG_ISAS})
    set(objects ${target}_${family}_${isa})
    add_library(${objects} OBJECT ${ARG_SOURCES})
    target_include_directories(${objects} PRIVATE
      $<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>)
    # The width of vectors goes by the name's first part: avx512_bf16 is avx512 as well.
    string(REGEX REPLACE "_.*" "" width ${isa})
    string(REPLACE amx avx512 width ${width})
    target_compile_definitions(${objects} PRIVATE TERCEL_ISA=${isa} TERCEL_ISA_${isa}=1 TERCEL_ISA_${width}=1)
    # Contraction is off so that a product is fused with a sum where the source says so, and only there.
    target_compile_options(${objects} PRIVATE ${TERCEL_ISA_FLAGS_${isa}} -ffp-contract=off
      -fno-math-errno -fno-trapping-math $<$<CONFIG:Release,RelWithDebInfo>:-O3>
      # GCC 12's own AVX-512 header sets it off.
      "$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>")
    tercel_isa_never_runs(${isa} never_runs)
    if(never_runs)
      target_compile_options(${objects} PRIVATE -O0 -fno-sanitize=all)
    endif()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
