// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// One source file of the project, as text.
struct SourceFile: Sendable, CustomTestStringConvertible {
    /// Relative to the project's root.
    let path: String
    let lines: [String]

    var testDescription: String { path }
    /// The target's name: the folder below `Sources`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

    /// The file's name without its ending.
    var name: String { path.split(separator: "/").last.map { String($0.dropLast(6)) } ?? "" }

    /// Lines without comments and without the text of string literals.
    var code: [(number: Int, text: String)] {
        lines.enumerated().compactMap { index, line in
            let text = Self.withoutStrings(line)
            let code = text.range(of: "//").map { String(text[..<$0.lowerBound]) } ?? text
            return code.allSatisfy(\.isWhitespace) ? nil : (index + 1, code)
        }
    }

    private static func withoutStrings(_ line: String) -> String {
        var result = ""
        var inside = false
        var previous: Character = " "
        for character in line {
            if character == "\"" && previous != "\\" {
                inside.toggle()
                result.append(character)
            } else if !inside {
                result.append(character)
            }
            previous = character
        }
        return result
    }
}

enum Project {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    static func files(in folder: String, _ endings: [String] = ["swift"]) -> [SourceFile] {
        let start = root.appendingPathComponent(folder)
        guard let all = FileManager.default.enumerator(atPath: start.path) else { return [] }
        return all.compactMap { $0 as? String }.sorted()
            .filter { name in endings.contains { name.hasSuffix("." + $0) } }
            .compactMap { name in
                guard let text = try? String(contentsOf: start.appendingPathComponent(name), encoding: .utf8) else {
                    return nil
                }
                return SourceFile(
                    path: "\(folder)/\(name)",
                    lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
            }
    }

    static let sources = files(in: "Sources")
    static let tests = files(in: "Tests")
}
