// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes

/// A Lua script, sent once and then called by its digest.
public struct RedisScript: Sendable, Hashable {
    /// For messages, and for the twin of the script in tests.
    public let name: String
    /// The Lua text.
    public let source: String

    /// A script by name and text; nothing is sent.
    public init(name: String, source: String) {
        self.name = name
        self.source = source
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

/// Which scripts a server has been given since the connection to it was made, and by which digests it knows them.
struct KnownScripts {
    private var digests: [Text: String] = [:]
    private var given: Set<Text> = []

    /// Nil for one that the server has not been given over this connection.
    mutating func knownDigest(of script: RedisScript) -> String? {
        guard given.contains(Text(script.source)) else { return nil }
        if let digest = digests[Text(script.source)] { return digest }
        // Redis names scripts by SHA-1.
        let bytes = Insecure.SHA1.hash(data: Array(script.source.utf8))
        let digest = bytes.reduce(into: "") { text, byte in
            text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        digests[Text(script.source)] = digest
        return digest
    }

    /// The server has received these steps.
    mutating func note(_ steps: [RedisStep]) {
        for case .script(let script, _, _) in steps { given.insert(Text(script.source)) }
    }

    /// Another connection may be to another server.
    mutating func forget() { given = [] }
}

extension RedisStep {
    var isScript: Bool {
        if case .script = self { true } else { false }
    }
}
