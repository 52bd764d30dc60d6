// SPDX-License-Identifier: MIT
import PomeloBytes
import Testing

/// Text from outside stays one word of one line of a log.
@Suite struct LogTextTests {
    @Test(arguments: [
        ("chat.chatHandler.send", "chat.chatHandler.send"),
        ("Zo\u{e9}", "Zo\u{e9}"),
        ("", "\"\""),
        ("a b", "\"a b\""),
        ("x level=error", "\"x level=error\""),
        ("say \"hi\"", "\"say \\\"hi\\\"\""),
        ("a\r\n2026-01-01 error forged", "\"a\\u{d}\\u{a}2026-01-01 error forged\""),
        ("\u{1B}[2J", "\"\\u{1b}[2J\""),
        ("a\u{85}b\u{2028}c\u{2029}d", "a\\u{85}b\\u{2028}c\\u{2029}d"),
        ("\u{202E}drow", "\\u{202e}drow"),
        ("a\0b", "a\\u{0}b"),
        ("\u{7F}", "\\u{7f}"),
    ])
    func nothingEndsTheLineOrTheWord(_ text: String, _ logged: String) {
        #expect(text.forLog == logged)
    }

    @Test func longTextIsCutAndSaysSo() {
        let long = String(repeating: "r", count: 60_000)
        #expect(long.forLog == "\"" + String(repeating: "r", count: 128) + "…(60000 bytes)\"")
        let control = String(repeating: "\n", count: 60_000)
        #expect(control.forLog.utf8.count < 200)
        #expect(long.escapedForLog(maxBytes: 1000).hasPrefix(String(repeating: "r", count: 1000) + "…"))
    }

    @Test func everyScalarIsHarmless() {
        for value in UInt32(0)..<0x3000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let logged = String(scalar).forLog
            for one in logged.unicodeScalars {
                #expect(one.value >= 0x20 && !(0x7F...0x9F).contains(one.value), "\(value)")
                #expect(one.properties.generalCategory != .format && !one.properties.isBidiControl, "\(value)")
            }
        }
    }
}
