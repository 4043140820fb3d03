#ifndef FT_LIBFUZZER_H
#define FT_LIBFUZZER_H

// Runs libFuzzer on the function `LLVMFuzzerTestOneInput` that the program defines; Swift executables have a `main` of
// their own, so libFuzzer's cannot be linked.
int ft_run_fuzzer(int argc, char **argv);

#endif
