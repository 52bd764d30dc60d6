// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private func packets(_ body: Bytes) -> [SocketIO09Packet]? {
    var found: [SocketIO09Packet] = []
    do throws(WireError) {
        try SocketIO09Payload.decode(body.span, maxPackets: 64) {
            found.append($0)
            return true
        }
    } catch {
        return nil
    }
    return found
}

private func message(in packet: Bytes, _ revision: SocketIORevision) -> Bytes? {
    do throws(WireError) {
        let data = revision == .one ? packet : Bytes(packet.dropFirst())
        guard case .message(let text) = try SocketIOPacket(data.span, revision) else { return nil }
        return text
    } catch {
        return nil
    }
}

/// Whatever a client says is read or refused; what was read of 0.9 is written again; and a body of any bytes goes out
/// as ASCII that a client can read.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSocketIO(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    for revision in SocketIORevision.allCases {
        if let text = message(in: bytes, revision) { readText(text) }
        let written = SocketIOMessage.push(route: "on", body: bytes).packet(revision)
        precondition(written.allSatisfy { $0 < 0x80 }, "beyond ASCII")
        if !bytes.contains(where: { $0 < 0x20 }) {
            precondition(message(in: written, revision) != nil, "a packet that no client reads")
        }
    }
    readText(bytes)
    if let read = packets(bytes), !read.isEmpty {
        let again = EngineIOPayload(read.map { $0.encoded() }, .one).body
        precondition(packets(again) == read, "written otherwise than read")
    }
    return 0
}

private func readText(_ text: Bytes) {
    do throws(WireError) {
        let head = try PomeloText(text.span)
        let again = try PomeloText.encode(
            id: head.id, route: try head.route(in: text.span), body: head.body(in: text.span))
        precondition(again == text, "written otherwise than read")
    } catch {}
}
