// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes

/// A Lua script, sent once and then called by its digest.
public struct RedisScript: Sendable, Hashable {
    /// For messages, and for the twin of the script in tests.
    public let name: String
    /// The Lua text.
    public let source: String
    /// By which Redis knows it once it has its text: SHA-1, in hexadecimal digits.
    let digest: String

    /// A script by name and text; nothing is sent.
    public init(name: String, source: String) {
        self.name = name
        self.source = source
        digest = Insecure.SHA1.hash(data: Array(source.utf8)).reduce(into: "") { text, byte in
            text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }

    /// The script's name, and the line that failed: for a command without the right to it, Redis tells only its number.
    func place(of failure: String) -> String {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        guard let match = failure.firstMatch(of: /user_script: ?(\d+)/), let number = Int(match.1),
            lines.indices.contains(number - 1)
        else { return "script \(name)" }
        return "script \(name), line \(number): \(lines[number - 1].drop { $0 == " " }.prefix(120))"
    }
}

/// Which scripts a server has been given since the connection to it was made, by their digests: a text is long to hash.
struct KnownScripts {
    private var given: Set<Text> = []

    /// Nil for one that the server has not been given over this connection.
    func knownDigest(of script: RedisScript) -> String? {
        given.contains(Text(script.digest)) ? script.digest : nil
    }

    /// The server has received these with their text.
    mutating func note(_ scripts: [RedisScript]) {
        for script in scripts { given.insert(Text(script.digest)) }
    }

    /// Another connection may be to another server.
    mutating func forget() { given = [] }
}

extension RedisStep {
    var isScript: Bool {
        if case .script = self { true } else { false }
    }
}
