import Files
import Testing

@Suite("Shown text")
struct ShownTextTests {
    @Test("what acts on a terminal or on the direction of writing is spelt out; the rest stays")
    func shown() {
        #expect("plain é 日本 👩‍👩‍👧".shown == "plain é 日本 👩‍👩‍👧")
        #expect("a\nb\r\tc".shown == #"a\nb\r\tc"#)
        #expect("\u{1B}[31m\u{7}\u{9B}".shown == #"\u{1B}[31m\u{7}\u{9B}"#)
        #expect("gpj.\u{202E}exe\u{2066}\u{200F}\u{2028}".shown == #"gpj.\u{202E}exe\u{2066}\u{200F}\u{2028}"#)
    }

    @Test("JSON has escapes of its own for them")
    func json() {
        #expect("{\"a\":\"x\u{202E}\u{9B}\"}\n".jsonShown == "{\"a\":\"x\\u202e\\u009b\"}\n")
        #expect("{}".jsonShown == "{}")
    }
}
