// SPDX-License-Identifier: MIT
import Pomelo
import PomeloExtensions

/// What `moderation.json` says.
struct ModerationOptions: FileOptions, Codable, Equatable {
    static let fileName = "moderation"
    /// Words that nobody is shown; without any nothing is changed.
    var words: [String] = []
    /// Rooms where nothing is said that not all plugins have judged that are there; elsewhere it is said, with a mark.
    var closed: [String] = []
}

/// Hides words in what guests say, as a plugin in another process may do: by taking part in `before-send-callback`.
struct Moderation {
    static let wordsLimit = 1000
    /// Bytes of a word.
    static let wordLimit = 64
    /// Keys of an object; one with more is no message of anybody's, and is hidden whole.
    static let keysLimit = 100
    private static let cover = "***"

    /// In lower case as far as that is ASCII, by their first bytes, the longest first.
    private var words: [UInt8: [Bytes]] = [:]

    /// Has a server of rooms hide the words of its file, if there are any; its closed rooms come back.
    @Loop static func begin(_ app: Application) throws -> Set<ChannelName> {
        let options = try app.options(ModerationOptions())
        if !options.words.isEmpty {
            let moderation = try Moderation(options.words)
            app.extensions.implement(.beforeSend, as: "moderation") { event in moderation.answer(event.data) }
        }
        return Set(options.closed.map { ChannelName($0) })
    }

    init(_ words: [String]) throws {
        guard words.count <= Self.wordsLimit, words.allSatisfy({ (1...Self.wordLimit).contains($0.utf8.count) }) else {
            throw PomeloError(
                .configuration,
                "moderation: there may be \(Self.wordsLimit) words, each of 1 to \(Self.wordLimit) bytes")
        }
        let folded = Set(words.map { $0.utf8.map(Self.fold) })
        self.words = Dictionary(grouping: folded) { $0[0] }.mapValues { $0.sorted { $0.count > $1.count } }
    }

    /// All of the data, for plugins that come after this one see no other.
    func answer(_ data: JSON) -> ExtensionAnswer {
        guard var object = data.object, let body = object["body"] else { return .ok }
        let hidden = hiding(body)
        if hidden == body { return .ok }
        object["body"] = hidden
        return .replace(.object(object))
    }

    /// Texts in lists and under keys too; the keys stay as they are.
    func hiding(_ body: JSON) -> JSON {
        switch body {
        case .string(let text): return .string(hiding(text))
        case .array(let elements): return .array(elements.map(hiding))
        case .object(var object):
            guard object.count <= Self.keysLimit else { return .string(Self.cover) }
            for (key, value) in object { object[key] = hiding(value) }
            return .object(object)
        case .null, .bool, .int, .uint, .double: return body
        }
    }

    /// A word is one where no letter or digit of ASCII goes on with it: of `ass`, `class` has none.
    private func hiding(_ text: String) -> String {
        let (bytes, folded) = (Bytes(text.utf8), text.utf8.map(Self.fold))
        var shown: Bytes = []
        var place = 0
        while place < folded.count {
            guard let word = words[folded[place]]?.first(where: { stands($0, at: place, in: folded) }) else {
                shown.append(bytes[place])
                place += 1
                continue
            }
            shown += Self.cover.utf8
            place += word.count
        }
        return String(decoding: shown, as: UTF8.self)
    }

    private func stands(_ word: Bytes, at place: Int, in text: Bytes) -> Bool {
        let end = place + word.count
        guard end <= text.count, text[place..<end].elementsEqual(word) else { return false }
        let goesOnBefore = place > 0 && Self.isOfWord(text[place - 1]) && Self.isOfWord(text[place])
        let goesOnAfter = end < text.count && Self.isOfWord(text[end - 1]) && Self.isOfWord(text[end])
        return !goesOnBefore && !goesOnAfter
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func fold(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
