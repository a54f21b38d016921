"""What a device, a file or a user may hand in, made up by a fuzzer that sees what it reaches."""
