# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where. The prefix may be chosen at install time (--prefix).

install(FILES "${library_file}" "${PROJECT_BINARY_DIR}/${library_soname}" "${library}" TYPE LIB)
install(FILES include/rstream.h bindings/cpp/include/librstream.hpp TYPE INCLUDE)
install(DIRECTORY include/rstream TYPE INCLUDE)
install(TARGETS rstreamctl)

set(cmake_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/librstream")
configure_package_config_file(cmake/librstreamConfig.cmake.in librstreamConfig.cmake
  INSTALL_DESTINATION "${cmake_package_dir}" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(librstreamConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/librstreamConfig.cmake" "${PROJECT_BINARY_DIR}/librstreamConfigVersion.cmake"
  DESTINATION "${cmake_package_dir}")

# The prefix that pkg-config hands out is known at install time only.
install(CODE "
  get_filename_component(PREFIX \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  set(LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
  set(INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
  set(DESCRIPTION \"${PROJECT_DESCRIPTION}\")
  set(VERSION \"${PROJECT_VERSION}\")
  configure_file(\"${PROJECT_SOURCE_DIR}/pkgconfig/librstream.pc.in\" \"${PROJECT_BINARY_DIR}/librstream.pc\" @ONLY)")
install(FILES "${PROJECT_BINARY_DIR}/librstream.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
