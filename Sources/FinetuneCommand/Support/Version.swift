import FineTune

/// The program's version.
enum Version {
    static let number = Release.version

    /// `finetune 0.1.0`, with the kernels that run when `verbose`.
    static func print(verbose: Bool) {
        Console.line("finetune \(number)")
        if verbose {
            Console.line("kernels: \(Kernels.summary)")
            Console.line("threads: \(Parallel.threadCount)")
        }
    }
}
