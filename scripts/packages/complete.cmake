# What a package has beside the installed tree; CPack runs this between installing and writing the package. Both kinds
# get their licenses and their list of contents; a Debian package also what Debian asks for, where Debian has it.
find_program(python NAMES "${CPACK_REVIEWRATE_PYTHON}" REQUIRED)
set(root "${CPACK_TEMPORARY_INSTALL_DIRECTORY}")
if(CPACK_GENERATOR STREQUAL "DEB")
  string(APPEND root "/usr")
endif()
# libtorch alone has 90 MB of names that nothing reads while it runs.
file(GLOB files "${root}/bin/reviewrate" "${root}/lib/reviewrate/*")
foreach(file IN LISTS files)
  if(NOT IS_SYMLINK "${file}")
    execute_process(COMMAND strip --strip-unneeded "${file}" COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
execute_process(
  COMMAND "${python}" "${CMAKE_CURRENT_LIST_DIR}/contents.py" "${root}" "${CPACK_PACKAGE_VERSION}"
  COMMAND_ERROR_IS_FATAL ANY)

if(CPACK_GENERATOR STREQUAL "DEB")
  string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
  file(WRITE "${root}/share/doc/reviewrate/changelog"
    "reviewrate (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n"
    "  * Version ${CPACK_PACKAGE_VERSION}; CHANGELOG.md of the source tells what changed.\n\n"
    " -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")
  execute_process(
    COMMAND gzip -9n "${root}/share/doc/reviewrate/changelog" "${root}/share/man/man1/reviewrate.1"
    COMMAND_ERROR_IS_FATAL ANY)
  file(MAKE_DIRECTORY "${root}/share/zsh/vendor-completions")
  file(RENAME "${root}/share/zsh/site-functions/_reviewrate" "${root}/share/zsh/vendor-completions/_reviewrate")
  file(REMOVE_RECURSE "${root}/share/zsh/site-functions")
  file(MAKE_DIRECTORY "${root}/share/lintian/overrides")
  file(COPY_FILE "${CMAKE_CURRENT_LIST_DIR}/lintian-overrides" "${root}/share/lintian/overrides/reviewrate")
endif()
