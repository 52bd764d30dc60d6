// SPDX-License-Identifier: MIT

extension String {
    /// This text as it may stand in a log line, when it came from outside: one word of at most about 128 bytes.
    ///
    /// What could end a line, move a terminal's cursor or turn the reading direction is escaped as `\u{…}`; text with
    /// blanks or marks that a reader of logs gives a meaning is put in quotes; what is too long is cut, and says so.
    public var forLog: String {
        let safe = escapedForLog(maxBytes: 128)
        if !safe.isEmpty, !safe.utf8.contains(where: LogText.marks.contains) { return safe }
        var quoted = "\""
        for scalar in safe.unicodeScalars {
            if scalar == "\"" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }

    /// This text without anything that could end its line, and of at most about so many bytes; never put in quotes.
    public func escapedForLog(maxBytes: Int) -> String {
        if utf8.count <= maxBytes, utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return self }
        var safe = ""
        for scalar in unicodeScalars {
            guard safe.utf8.count < maxBytes else { return safe + "…(\(utf8.count) bytes)" }
            if LogText.isHarmless(scalar) {
                safe.unicodeScalars.append(scalar)
            } else {
                safe += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return safe
    }
}

private enum LogText {
    static let marks = Array(" \"=,[]".utf8)

    static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
