# Fails when the stripped command is larger than LIMIT bytes.
execute_process(COMMAND ${STRIP} -o ${COMMAND}.stripped ${COMMAND} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${COMMAND}.stripped size)
file(REMOVE ${COMMAND}.stripped)
message(STATUS "stripped: ${size} bytes; the limit is ${LIMIT}")
if(size GREATER LIMIT)
  message(FATAL_ERROR "the stripped command has ${size} bytes, more than ${LIMIT}")
endif()
