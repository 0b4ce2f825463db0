# SPDX-License-Identifier: Apache-2.0
# The manual pages of section 3 and the HTML reference, made from the public headers: target docs. What rstreamctl has
# beside itself: its manual page and the completion for bash.

option(RSTREAM_BUILD_DOCS "Make the manual pages and the HTML reference; needs python3" ON)

install(FILES Sources/rstreamctl/rstreamctl.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES Sources/rstreamctl/rstreamctl.bash DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
  RENAME rstreamctl)

if(RSTREAM_BUILD_DOCS)
  find_program(PYTHON3 python3)
  if(NOT PYTHON3)
    message(WARNING "there is no python3: the reference is not made (RSTREAM_BUILD_DOCS=OFF says that it need not be)")
    set(RSTREAM_BUILD_DOCS OFF)
  endif()
endif()

if(RSTREAM_BUILD_DOCS)
  set(reference "${PROJECT_BINARY_DIR}/reference")
  file(GLOB_RECURSE reference_sources CONFIGURE_DEPENDS include/*.h docs/reference/*.py)
  add_custom_command(
    OUTPUT "${reference}/made"
    COMMAND "${CMAKE_COMMAND}" -E rm -rf "${reference}"
    COMMAND "${PYTHON3}" -B docs/reference/generate.py --man "${reference}/man3" --html "${reference}/html"
    COMMAND "${CMAKE_COMMAND}" -E touch "${reference}/made"
    DEPENDS ${reference_sources} abi/symbols README.md
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Making the manual pages and the HTML reference"
    VERBATIM)
  add_custom_target(docs ALL DEPENDS "${reference}/made")
  install(DIRECTORY "${reference}/man3" DESTINATION "${CMAKE_INSTALL_MANDIR}")
  install(DIRECTORY "${reference}/html" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()
