import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Ctrl-C and SIGTERM as a wish to stop: the first is noted for the loop to see, a second one ends the process at once.
final class StopSignal: Sendable {
    private let first = Atomic<Int32>(0)
    private let queue = DispatchQueue(label: "finetune.signals", qos: .userInteractive)

    /// The signal that came, if any.
    var received: Int32? {
        let number = first.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Takes both signals over for the rest of the process's life, also where a shell's script began the process in the
    /// background, which ignores SIGINT: who sends it means it.
    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            // The source keeps itself alive through its handler.
            source.setEventHandler { [self] in
                note(number)
                withExtendedLifetime(source) {}
            }
            source.resume()
        }
    }

    private func note(_ number: Int32) {
        guard first.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged else {
            _exit(128 + number)
        }
        Console.note("stopping after this step; once more ends at once")
    }
}
