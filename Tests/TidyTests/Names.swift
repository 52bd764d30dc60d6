// SPDX-License-Identifier: MIT
import Foundation

/// What declarations and files are called.
enum Names {
    /// Names of which the language or a library asks for one declaration, or that C gives.
    static let asked: Set = [
        "handleRequest", "buildBlock", "buildOptional", "buildArray", "customMirror", "isIsolatingCurrentContext",
        "checkIsolated", "ChatPage", "REDIS_REPLY_STATUS", "REDIS_REPLY_ERROR", "REDIS_REPLY_STRING",
        "REDIS_REPLY_INTEGER", "REDIS_REPLY_ARRAY", "userInboundEventTriggered", "channelActive",
        "channelReadComplete", "channelWritabilityChanged", "setup", "didReceiveError", "didFinishRequest",
        "didSendRequestHead", "didReceiveHead", "didReceiveBodyPart",
    ]

    /// Files named after what they are about, because no one type of theirs says it.
    static let subjects: Set = [
        "Exports", "Contract", "ByteReading", "ByteWriting", "ServerProcess", "FrameCoder", "HandshakeStates",
        "PresenceQuestions", "UVError", "RedisScan",
        "TestCluster+Clients", "Libc", "Libc+Systems",
    ]

    /// Declarations of `sources` that nothing in `sources` or `users` names.
    static func unused(_ sources: [SourceFile], users: [SourceFile]) -> [String] {
        var mentions: [String: Int] = [:]
        for line in (sources + users).lazy.flatMap(\.lines) {
            let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line[...]
            for word in code.utf8.split(whereSeparator: { !isPartOfAName($0) }) {
                mentions[String(Substring(word)), default: 0] += 1
            }
        }
        let declaration = /\b(?:func|var|let|case|struct|class|enum|protocol|typealias) (\w+)/
        return sources.flatMap { file in
            file.code.flatMap { number, text in
                text.matches(of: declaration).map { String($0.1) }
                    .filter { mentions[$0, default: 0] < 2 && !asked.contains($0) }
                    .map { "\(file.path):\(number): nothing names \($0)" }
            }
        }
    }

    private static func isPartOfAName(_ byte: UInt8) -> Bool {
        byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
            || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || byte >= 0x80
    }

    /// Whether the words of a file's name are words of what it declares or extends.
    static func misleading(_ file: SourceFile) -> [String] {
        guard !subjects.contains(file.name) else { return [] }
        let type = /\b(?:actor|struct|class|enum|protocol|extension|typealias|func) (\w+)/
        let said = Set(file.code.flatMap { $0.text.matches(of: type) }.flatMap { words(String($0.1)) })
        // Of `Type+Part` one of both.
        let isHeld = file.name.split(separator: "+").contains { part in
            words(String(part)).allSatisfy { word in said.contains { $0.hasPrefix(stem(word)) } }
        }
        return isHeld ? [] : ["\(file.path): nothing in it is called so"]
    }

    /// `JSONReader` and `lineSafe` in lower case, word by word.
    private static func words(_ name: String) -> [String] {
        name.matches(of: /[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+/).map { $0.output.lowercased() }
    }

    /// `Handlers` of `Handler`, `Decoding` of `Decoder`.
    private static func stem(_ word: String) -> Substring {
        let ending = ["ing", "s"].first { word.count > $0.count + 3 && word.hasSuffix($0) }
        return word.dropLast(ending?.count ?? 0)
    }
}
