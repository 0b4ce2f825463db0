# SPDX-License-Identifier: Apache-2.0
# librstream.so, built by the Swift package manager, as the target librstream::librstream.
# docs/building.md says why each flag is there.

find_program(SWIFT swift REQUIRED)

set(library "${PROJECT_BINARY_DIR}/librstream.so")
set(library_file "${library}.${PROJECT_VERSION}")
set(library_soname "librstream.so.${PROJECT_VERSION_MAJOR}")

set(swift_scratch "${PROJECT_BINARY_DIR}/swift")
set(swift_build "${SWIFT}" build --package-path "${PROJECT_SOURCE_DIR}" --scratch-path "${swift_scratch}"
  --product rstream --disable-local-rpath -Xswiftc -static-stdlib)

set(strip "")
if(RSTREAM_SANITIZE)
  set(swift_configuration debug)
  list(APPEND swift_build --sanitize=${RSTREAM_SANITIZE})
  list(PREPEND swift_build "${CMAKE_COMMAND}" -E env RSTREAM_SANITIZE=${RSTREAM_SANITIZE})
else()
  set(swift_configuration release)
  if(RSTREAM_STRIP)
    set(strip COMMAND "${CMAKE_STRIP}" --strip-unneeded "${library_file}")
  endif()
  # The same bytes whatever the folders are called.
  set(prefix_map "${PROJECT_BINARY_DIR}=build" "${PROJECT_SOURCE_DIR}=.")
  foreach(mapping IN LISTS prefix_map)
    list(APPEND swift_build -Xswiftc -file-prefix-map -Xswiftc "${mapping}" -Xcc "-ffile-prefix-map=${mapping}")
  endforeach()
  foreach(flag -no-clang-module-breadcrumbs -disable-incremental-llvm-codegen)
    list(APPEND swift_build -Xswiftc -Xfrontend -Xswiftc ${flag})
  endforeach()
endif()
separate_arguments(extra_flags UNIX_COMMAND "${RSTREAM_SWIFT_FLAGS}")
list(APPEND swift_build ${extra_flags})
list(APPEND swift_build -c ${swift_configuration})

# A folder that holds nothing but libstdc++.a, searched first: the Swift runtime's C++ parts are linked statically too.
execute_process(COMMAND "${CMAKE_C_COMPILER}" -print-file-name=libstdc++.a
  OUTPUT_VARIABLE static_libstdcxx OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT IS_ABSOLUTE "${static_libstdcxx}")
  message(FATAL_ERROR "${CMAKE_C_COMPILER} knows no libstdc++.a: install the C++ standard library's development files")
endif()
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/static")
file(CREATE_LINK "${static_libstdcxx}" "${PROJECT_BINARY_DIR}/static/libstdc++.a" SYMBOLIC)
list(APPEND swift_build -Xswiftc "-L${PROJECT_BINARY_DIR}/static")

file(GLOB_RECURSE swift_sources CONFIGURE_DEPENDS
  Sources/*.swift Sources/System/*.c Sources/System/*.h include/*.h include/module.modulemap)
list(APPEND swift_sources Package.swift rstream.map)

set(built "${swift_scratch}/${swift_configuration}/librstream.so")
list(TRANSFORM swift_sources PREPEND "${PROJECT_SOURCE_DIR}/" REGEX "^[^/]")
add_custom_command(
  OUTPUT "${library_file}"
  COMMAND ${swift_build}
  COMMAND "${CMAKE_COMMAND}" -E copy "${built}" "${library_file}"
  ${strip}
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "librstream.so.${PROJECT_VERSION}" "${library_soname}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${library_soname}" librstream.so
  DEPENDS ${swift_sources}
  WORKING_DIRECTORY "${PROJECT_BINARY_DIR}"
  COMMENT "Building librstream.so with the Swift package manager"
  USES_TERMINAL VERBATIM)
add_custom_target(librstream ALL DEPENDS "${library_file}")

add_library(librstream::librstream SHARED IMPORTED GLOBAL)
add_dependencies(librstream::librstream librstream)
set_target_properties(librstream::librstream PROPERTIES
  IMPORTED_LOCATION "${library_file}"
  IMPORTED_SONAME "${library_soname}"
  INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
