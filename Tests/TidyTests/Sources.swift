// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// One source file of the project, as text.
struct SourceFile: Sendable, CustomTestStringConvertible {
    /// Relative to the project's root.
    let path: String
    let lines: [String]
    /// Lines without comments and without the text of string literals.
    let code: [(number: Int, text: String)]

    init(path: String, lines: [String]) {
        self.path = path
        self.lines = lines
        code = lines.enumerated().compactMap { index, line in
            let text = Self.withoutStrings(line)
            let code = text.range(of: "//").map { String(text[..<$0.lowerBound]) } ?? text
            return code.utf8.allSatisfy { $0 == UInt8(ascii: " ") } ? nil : (index + 1, code)
        }
    }

    var testDescription: String { path }
    /// The target's name: the folder below `Sources`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

    /// The file's name without its ending.
    var name: String { path.split(separator: "/").last.map { String($0.dropLast(6)) } ?? "" }

    private static func withoutStrings(_ line: String) -> String {
        guard line.utf8.contains(UInt8(ascii: "\"")) else { return line }
        var result: [UInt8] = []
        var inside = false
        var previous = UInt8(ascii: " ")
        for byte in line.utf8 {
            if byte == UInt8(ascii: "\"") && previous != UInt8(ascii: "\\") {
                inside.toggle()
                result.append(byte)
            } else if !inside {
                result.append(byte)
            }
            previous = byte
        }
        return String(decoding: result, as: UTF8.self)
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
    static let tests = files(in: "Tests").filter { !$0.path.hasSuffix("/Package.swift") }
}
