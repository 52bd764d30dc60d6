// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// Numbers the routes so that a message can carry two bytes instead of a name.
///
/// Handler routes are sorted by UTF-16 code units and numbered from 1, the extra ones follow in their given
/// order. Of a repeated route the later code wins for writing; both can be read.
///
/// - Source: pomelo 2.2.7, lib/components/dictionary.js.
public struct RouteDictionary: Sendable {
    /// Every route with its code, in code order.
    public let routes: [(route: String, code: UInt16)]
    /// The compact JSON text whose MD5 in Base64 is the dictionary's version.
    ///
    /// - Source: pomelo 2.2.7, lib/components/dictionary.js; ECMAScript for the place of integer-like keys.
    public var versionSource: Bytes { encodedRoutes(escapeAstral: false) }

    private let codes: [Text: UInt16]

    /// Creates the dictionary.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for more than 65535 routes.
    public init(handlerRoutes: [String], extra: [String] = []) throws(WireError) {
        let sorted = handlerRoutes.sorted { $0.utf16.lexicographicallyPrecedes($1.utf16) }
        guard sorted.count &+ extra.count <= Int(UInt16.max) else { throw .tooLarge(limit: Int(UInt16.max)) }
        var routes: [(route: String, code: UInt16)] = []
        var codes: [Text: UInt16] = [:]
        for (index, route) in (sorted + extra).enumerated() {
            let code = UInt16(truncatingIfNeeded: index &+ 1)
            routes.append((route, code))
            codes[Text(route)] = code
        }
        self.routes = routes
        self.codes = codes
    }

    /// The code to write for a route.
    public func code(for route: String) -> UInt16? {
        codes[Text(route)]
    }

    /// The route that a received code stands for.
    public func route(for code: UInt16) -> String? {
        code > 0 && Int(code) <= routes.count ? routes[Int(code) &- 1].route : nil
    }

    /// Routes to codes in the order of a JavaScript object.
    private func scriptOrder() -> [(route: String, code: UInt16)] {
        var seen: Set<Text> = []
        var entries: [(route: String, code: UInt16)] = []
        for (route, code) in routes where seen.insert(Text(route)).inserted {
            entries.append((route, codes[Text(route)] ?? code))
        }
        return ScriptOrder.sorted(entries) { $0.route }
    }

    /// The object `{route: code}`, as clients get it.
    func encodedRoutes(escapeAstral: Bool = true) -> Bytes {
        var bytes: Bytes = [UInt8(ascii: "{")]
        for (route, code) in scriptOrder() {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            JSONWriter.write(route, into: &bytes, escapeAstral: escapeAstral)
            bytes.append(UInt8(ascii: ":"))
            JSONWriter.write(Int64(code), into: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// The object `{"code": route}`; codes are text there.
    func encodedCodes() -> Bytes {
        var bytes: Bytes = [UInt8(ascii: "{")]
        for (route, code) in routes {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            JSONWriter.write(String(code), into: &bytes)
            bytes.append(UInt8(ascii: ":"))
            JSONWriter.write(route, into: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}
