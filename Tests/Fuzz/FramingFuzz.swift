// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloConnectors/Custom/Framing.swift

/// The first byte says how messages are framed, the second how long they may be, the third how the rest is cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFraming(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    guard bytes.count >= 3 else { return 0 }
    let width = Int(bytes[0]) % 5
    let framing = width == 0 ? Framing.lines : .lengthPrefixed(bytes: width)
    let (maxBytes, stream) = (Int(bytes[1]), Bytes(bytes[3...]))
    let whole = split(stream, framing, maxBytes, piece: stream.count, each: 0)
    let cut = split(stream, framing, maxBytes, piece: Int(bytes[2]) + 1, each: 0)
    let waiting = split(stream, framing, maxBytes, piece: stream.count, each: 1 + Int(bytes[2]) % 4)
    precondition(whole == cut, "pieces make a difference")
    precondition(whole == waiting, "waiting makes a difference")
    // What was found can be sent, and means the same.
    let sent = whole.messages.flatMap { message in
        let (head, tail) = framing.ends(of: message)
        return head + message + tail
    }
    let again = split(sent, framing, maxBytes, piece: max(1, sent.count), each: 0)
    let isExact = whole.messages.allSatisfy { !(framing == .lines && $0.last == UInt8(ascii: "\r")) }
    precondition(whole.messages.allSatisfy { framing.fits($0) && $0.count <= maxBytes }, "no such message can be")
    if isExact { precondition(again.messages == whole.messages && !again.isTooLarge, "what was found is not sent") }
    return 0
}

private struct Found: Equatable {
    var messages: [Bytes] = []
    var isTooLarge = false
}

/// Splits a stream in pieces; after every so many messages it must wait, and comes back for the rest.
private func split(_ stream: Bytes, _ framing: Framing, _ maxBytes: Int, piece: Int, each: Int) -> Found {
    var (splitter, found) = (FrameSplitter(framing, maxBytes: maxBytes), Found())
    var place = 0
    while place < stream.count {
        let end = min(place + piece, stream.count)
        let part = Bytes(stream[place..<end])
        do throws(WireError) {
            let taken = try splitter.split(part.span) { message in
                found.messages.append(message)
                return each == 0 || found.messages.count % each != 0
            }
            precondition(taken > 0, "it would never end")
            place += taken
        } catch {
            found.isTooLarge = true
            return found
        }
        precondition(splitter.heldBytes <= 2 * maxBytes + 64, "it keeps more than a message")
    }
    return found
}
