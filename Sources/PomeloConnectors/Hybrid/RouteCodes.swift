// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloWire

/// The route dictionary in the form the connector needs it.
struct RouteCodes {
    let dictionary: RouteDictionary
    /// What a client compares with the one it keeps.
    let version: String
    /// Position `code - 1`.
    private let routes: [Route]

    /// - Throws: `WireError` for more than 65535 routes.
    init(handlers: [String], extra: [String]) throws(WireError) {
        dictionary = try RouteDictionary(handlerRoutes: handlers, extra: extra)
        version = Base64.encode(Bytes(Insecure.MD5.hash(data: dictionary.versionSource)))
        routes = dictionary.routes.map { Route($0.route) }
    }

    func route(for code: UInt16) -> Route? {
        code > 0 && Int(code) <= routes.count ? routes[Int(code) - 1] : nil
    }
}
