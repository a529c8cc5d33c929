# What `cmake --install` puts under a prefix: the command, the shared library with the public headers
# the package config that find_package(Tercel) reads, the model that ships, and the completions.
include(CMakePackageConfigHelpers)

# libtercel.so is all layers; what it exports, the public headers say (tercel/export.h). The command
# and the tests link the static layers instead, so the command is a single file.
get_property(layers GLOBAL PROPERTY TERCEL_LAYERS)
add_library(tercel_shared SHARED)
set_target_properties(tercel_shared PROPERTIES OUTPUT_NAME tercel EXPORT_NAME tercel
  LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
foreach(layer ${layers})
  target_sources(tercel_shared PRIVATE $<TARGET_OBJECTS:${layer}>)
endforeach()
target_link_libraries(tercel_shared PRIVATE ${layers})  # for the libraries that the layers link
target_compile_features(tercel_shared INTERFACE cxx_std_20)
target_include_directories(tercel_shared INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(Tercel::tercel ALIAS tercel_shared)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Tercel)
install(TARGETS tercel_shared EXPORT TercelTargets)
install(EXPORT TercelTargets NAMESPACE Tercel:: DESTINATION ${package})
install(DIRECTORY include/tercel DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
write_basic_package_version_file(TercelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(cmake/TercelConfig.cmake.in TercelConfig.cmake
  INSTALL_DESTINATION ${package})
install(FILES ${PROJECT_BINARY_DIR}/TercelConfig.cmake
  ${PROJECT_BINARY_DIR}/TercelConfigVersion.cmake DESTINATION ${package})

if(TARGET tercel_cli)
  install(TARGETS tercel_cli RUNTIME)
endif()
install(FILES cli/completion/tercel.bash RENAME tercel
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES cli/completion/_tercel DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES cli/completion/tercel.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# Where the command looks for the model that it uses when none is named.
install(DIRECTORY models/minilm-qa DESTINATION ${CMAKE_INSTALL_DATADIR}/tercel/models)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
