// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private func write(_ head: MessageHead, route: String, _ body: Bytes) throws(WireError) -> Bytes {
    switch head.kind {
    case .request: try Message.request(id: head.id, route: route, code: head.routeCode, body: body)
    case .notify: try Message.notify(route: route, code: head.routeCode, body: body)
    case .response: try Message.response(id: head.id, body: body)
    case .push: try Message.push(route: route, code: head.routeCode, body: body)
    }
}

/// What can be read can be written, and reads the same again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMessages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    do throws(WireError) {
        let head = try MessageHead.decode(bytes.span)
        let route = try head.route(in: bytes.span)
        let body = head.body(in: bytes.span)
        let written = try write(head, route: route, body)
        let again = try MessageHead.decode(written.span)
        precondition(again.kind == head.kind && again.id == head.id && again.routeCode == head.routeCode)
        precondition(again.body(in: written.span) == body)
        let routeAgain = try again.route(in: written.span)
        precondition(Bytes(routeAgain.utf8) == Bytes(route.utf8))
    } catch {}
    return 0
}
