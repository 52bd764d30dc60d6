// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private func packets(_ body: Bytes, _ revision: SocketIORevision) -> [EngineIOPacket]? {
    var decoder = EngineIOPayloadDecoder(revision, maxPackets: 64)
    var found: [EngineIOPacket] = []
    do throws(WireError) {
        try decoder.decode(body.span) {
            found.append($0)
            return true
        }
    } catch {
        return nil
    }
    precondition(found.count <= 64, "more packets than allowed")
    precondition(found.reduce(0) { $0 + $1.data.count } <= body.count, "more data than came in")
    return found
}

/// What can be read is written so that it reads the same, in both versions.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEngineIO(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    for revision in [SocketIORevision.four, .five] {
        guard let read = packets(bytes, revision) else { continue }
        let text = read.filter { !$0.isBinary && !$0.data.contains(0x1E) }
        if text.isEmpty { continue }
        let written = EngineIOPayload(text.map { EngineIOPacket.encode($0.kind, $0.data) }, revision)
        precondition(packets(written.body, revision) == text, "written otherwise than read")
    }
    do throws(WireError) {
        let packet = try EngineIOPacket(text: bytes.span)
        precondition(EngineIOPacket.encode(packet.kind, packet.data) == bytes, "written otherwise than read")
    } catch {}
    return 0
}
