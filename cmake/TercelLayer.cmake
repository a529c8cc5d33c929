# A layer is a folder under src/ and one static library, tercel_<name>, that links only the layers it
# may include. tools/check_layers.py holds the includes against the same table.
#
#   tercel_layer(<name> SOURCES <file>… [DEPENDS <layer>…] [LIBRARIES <imported target>…])
function(tercel_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  set(target tercel_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(${target} PUBLIC tercel_${layer})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY TERCEL_LAYERS ${target})
endfunction()

# tercel_link_all_layers(<target> PUBLIC|PRIVATE): links every layer, however many there are.
function(tercel_link_all_layers target scope)
  get_property(layers GLOBAL PROPERTY TERCEL_LAYERS)
  target_link_libraries(${target} ${scope} ${layers})
endfunction()

# tercel_test(<name> SOURCES <file>… DEPENDS <layer>… [THREADED]): one GoogleTest executable, its cases known
# to CTest. The target `test_programs` builds them all, `threaded_test_programs` those marked THREADED: what
# runs on several threads, and so under the thread sanitizer (the label `threads`).
add_custom_target(test_programs)
add_custom_target(threaded_test_programs)
function(tercel_test name)
  if(NOT TERCEL_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "THREADED" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_dependencies(test_programs ${name})
  set(labels)
  if(ARG_THREADED)
    add_dependencies(threaded_test_programs ${name})
    set(labels LABELS threads)
  endif()
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(${name} PRIVATE tercel_${layer})
  endforeach()
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE TERCEL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 ${labels})
endfunction()

# tercel_bench(<name> SOURCES <file>… DEPENDS <layer>…): one Google Benchmark executable, build/bench/<name>,
# when TERCEL_BENCH is on; `make bench` runs them all.
function(tercel_bench name)
  if(NOT TERCEL_BENCH)
    return()
  endif()
  find_package(benchmark REQUIRED)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(${name} PRIVATE tercel_${layer})
  endforeach()
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} benchmark::benchmark benchmark::benchmark_main)
endfunction()
