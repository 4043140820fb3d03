extension RunSettings {
    /// The command that repeats the run, as a shell reads it: `finetune --model resnet.onnx --unfreeze fc --lr 0.1`.
    public func command() throws -> String { try commandWords().joined().joined(separator: " ") }

    /// The same, each option with its value in a list of its own.
    func commandWords() throws -> [[String]] {
        try arguments().reduce(into: [["finetune"]]) { groups, word in
            if word.hasPrefix("--") { groups.append([]) }
            groups[groups.count - 1].append(shellQuoted(word))
        }
    }
}
