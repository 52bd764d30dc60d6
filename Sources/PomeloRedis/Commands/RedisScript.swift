// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloLoop

/// A Lua script, sent once and then called by its digest.
public struct RedisScript: Sendable {
    /// One reference to count for each of many steps, where there would be three.
    private final class Content: Sendable {
        let name: String
        let source: String
        let digest: String

        init(_ name: String, _ source: String) {
            self.name = name
            self.source = source
            digest = Insecure.SHA1.hash(data: Array(source.utf8)).reduce(into: "") { text, byte in
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
    }

    private let content: Content

    /// For messages, and for the twin of the script in tests.
    public var name: String { content.name }
    /// The Lua text.
    public var source: String { content.source }
    /// By which Redis knows it once it has its text: SHA-1, in hexadecimal digits.
    var digest: String { content.digest }

    /// A script by name and text; nothing is sent.
    public init(name: String, source: String) { content = Content(name, source) }

    /// Whether this is the other, or a copy of it.
    func isSame(as other: RedisScript) -> Bool { content === other.content }

    /// The script's name, and the line that failed: for a command without the right to it, Redis tells only its number.
    func place(of failure: String) -> String {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        guard let match = failure.firstMatch(of: /user_script: ?(\d+)/), let number = Int(match.1),
            lines.indices.contains(number - 1)
        else { return "script \(name)" }
        return "script \(name), line \(number): \(lines[number - 1].drop { $0 == " " }.prefix(120))"
    }
}

extension RedisScript: Hashable {
    /// By name and text.
    public static func == (one: RedisScript, other: RedisScript) -> Bool {
        one.isSame(as: other) || one.name == other.name && one.source == other.source
    }

    /// By name and text.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(digest)
    }
}

/// Which scripts a server has been given since the connection to it was made, by their digests: a text is long to hash.
@Loop final class KnownScripts {
    private var given: Set<Text> = []
    /// The one asked for last, for many are asked for many times.
    private var last: RedisScript?

    /// Nil for one that the server has not been given over this connection.
    func knownDigest(of script: RedisScript) -> String? {
        if let last, last.isSame(as: script) { return script.digest }
        guard given.contains(Text(script.digest)) else { return nil }
        last = script
        return script.digest
    }

    /// The server has received these with their text.
    func note(_ scripts: [RedisScript]) {
        for script in scripts { given.insert(Text(script.digest)) }
    }

    /// Another connection may be to another server.
    func forget() { (given, last) = ([], nil) }
}

extension RedisStep {
    var isScript: Bool {
        if case .script = self { true } else { false }
    }

    /// Whether it may change something and then say what it likes: scripts, functions, commands of modules.
    var runsCode: Bool {
        guard case .command(let command) = self else { return isScript }
        let names = ["EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"]
        return command.keyPositions != nil || names.contains(command.name.uppercased())
    }
}
