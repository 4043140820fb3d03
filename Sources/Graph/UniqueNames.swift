/// Gives names that are not taken yet: the wanted one, or that one with a number.
struct UniqueNames {
    private var taken: Set<String>
    /// The last number that a name got, so that thousands of equal ones are not tried from 1 on each time.
    private var numbers: [String: Int] = [:]

    init(taken: some Sequence<String> = []) { self.taken = Set(taken) }

    mutating func name(like wanted: String) -> String {
        var name = wanted
        while !taken.insert(name).inserted {
            numbers[wanted, default: 0] += 1
            name = "\(wanted)_\(numbers[wanted, default: 0])"
        }
        return name
    }
}
