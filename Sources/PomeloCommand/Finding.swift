// SPDX-License-Identifier: MIT
import Pomelo

/// What `doctor` has found of one thing.
struct Finding: Sendable, Equatable {
    enum Grade: String, Sendable {
        case ok
        /// It runs, and something is to be known.
        case warning
        /// It will not run.
        case failure
    }

    let grade: Grade
    let subject: String
    let text: String

    static func ok(_ subject: String, _ text: String) -> Finding { Finding(grade: .ok, subject: subject, text: text) }
    static func warning(_ subject: String, _ text: String) -> Finding {
        Finding(grade: .warning, subject: subject, text: text)
    }
    static func failure(_ subject: String, _ text: String) -> Finding {
        Finding(grade: .failure, subject: subject, text: text)
    }

    /// Its line, as in `ok       redis: version 7.0.15, one server`.
    var line: String {
        let word = grade.rawValue
        return word + String(repeating: " ", count: 9 - word.count) + "\(subject): \(text)"
    }

    var json: JSON {
        ["grade": .string(grade.rawValue), "subject": .string(subject), "text": .string(text)]
    }
}
