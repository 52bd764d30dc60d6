// SPDX-License-Identifier: MIT
//
// TranscriptTests: our server against recordings of the original one, byte for byte.
// Reading order: Transcripts/README.md, TranscriptTests, Transcript, Differences, Player, Fixture, EntryHandler,
// ChatHandler.
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloTesting
import TestHelpers
import Testing

/// One recorded conversation: what the client wrote, what came back, how it ended.
struct Transcript: Sendable, CustomTestStringConvertible {
    /// How the connection stood when the recording ended.
    enum Ending: Equatable, Sendable {
        /// The client left; the server would have gone on.
        case keptOpen
        /// The server closed, over WebSocket after a close frame of this code.
        case closed(code: UInt16?)
    }

    /// Bytes from the server: over TCP a piece of the stream, over WebSocket the payload of one message.
    struct Answer: Equatable, Sendable {
        /// Milliseconds since the connection stood.
        var at: Int
        var bytes: Bytes
    }

    /// One write of the client, and all that came back before its next one.
    struct Exchange: Sendable {
        var at: Int
        var sent: Bytes
        var answers: [Answer] = []
    }

    let name: String
    let config: String
    let scenario: String
    let transport: TestClient.Transport
    var exchanges: [Exchange] = []
    var ending = Ending.keptOpen
    /// When the recording ended.
    var endsAt = 0
    /// The exchange the server closed in.
    var closesIn: Int?
    /// When it did.
    var closesAt = 0

    var testDescription: String { name }

    /// Whether a client sees the same: the same bytes after each write, and the same end.
    func isSame(as other: Transcript) -> Bool {
        let mine = exchanges.map { $0.answers.map(\.bytes) }
        let others = other.exchanges.map { $0.answers.map(\.bytes) }
        return mine == others && ending == other.ending && closesIn == other.closesIn
    }
}

// MARK: files

extension Transcript {
    /// Every recording beside this file.
    static let all: [Result<Transcript, Unreadable>] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Transcripts")
        do {
            let files = try FileManager.default.contentsOfDirectory(
                at: folder, includingPropertiesForKeys: nil)
            return files.filter { $0.pathExtension == "jsonl" }.sorted { $0.path < $1.path }.map(read)
        } catch {
            return [.failure(Unreadable(file: folder.path, why: "\(error)"))]
        }
    }()

    struct Unreadable: Error {
        let file: String
        let why: String
    }

    private struct Header: Decodable {
        let scenario: String
        let config: String
        let proto: String
    }

    private struct Line: Decodable {
        let t: Int
        let dir: String
        let hex: String?
        let note: String?
        let bytes: Int?
    }

    private static func read(_ file: URL) -> Result<Transcript, Unreadable> {
        Result { try Transcript(file) }.mapError { Unreadable(file: file.lastPathComponent, why: "\($0)") }
    }

    private init(_ file: URL) throws {
        let lines = try Data(contentsOf: file).split(separator: UInt8(ascii: "\n"))
        let header = try JSONDecoder().decode(Header.self, from: lines.first ?? Data())
        name = file.deletingPathExtension().lastPathComponent
        config = header.config
        scenario = header.scenario
        transport = header.proto == "ws" ? .webSocket : .tcp
        for line in lines.dropFirst() { try add(try JSONDecoder().decode(Line.self, from: line)) }
    }

    private mutating func add(_ line: Line) throws {
        switch line.dir {
        // What the recorder made of a message with a schema is told beside its bytes.
        case "open", "close", "decoded": return
        case "c2s": exchanges.append(Exchange(at: line.t, sent: try bytes(line)))
        case "s2c" where line.note?.hasPrefix("ws close frame") == true:
            guard let code = line.hex.flatMap({ UInt16($0, radix: 16) }) else {
                throw Malformed(line: "\(line)")
            }
            end(.closed(code: code), at: line.t)
        case "s2c":
            guard !exchanges.isEmpty else { throw Malformed(line: "\(line)") }
            let answer = Answer(at: line.t, bytes: try bytes(line))
            exchanges[exchanges.count - 1].answers.append(answer)
        case "fin": end(.closed(code: nil), at: line.t)
        case "end": break
        default: throw Malformed(line: "\(line)")
        }
        endsAt = line.t
    }

    private mutating func end(_ ending: Ending, at milliseconds: Int) {
        self.ending = ending
        closesIn = exchanges.count - 1
        closesAt = milliseconds
    }

    private struct Malformed: Error { let line: String }

    /// The bytes of a line; the cut run of `y` of a long one is filled in again.
    private func bytes(_ line: Line) throws -> Bytes {
        guard let hex = line.hex else { throw Malformed(line: "\(line)") }
        guard hex.hasSuffix("..."), let length = line.bytes else { return Bytes(hex: hex) }
        let head = Bytes(hex: String(hex.dropLast(3)))
        let tail = Bytes(
            (line.dir == "c2s" ? #""}"# : #"","__route__":"connector.entryHandler.echo"}"#).utf8)
        let fill = Bytes(repeating: UInt8(ascii: "y"), count: length - head.count - tail.count)
        return head + fill + tail
    }
}
