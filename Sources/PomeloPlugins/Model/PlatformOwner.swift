// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloExtensions

/// Whose points are there without a plugin.
enum PlatformOwner: String {
    /// Those of the cluster, which servers ask and tell.
    case chat
    /// Those of the router.
    case keel

    var id: PluginID { PluginID(rawValue) }

    /// The router asks here who calls from outside.
    ///
    /// - Source: tKeel's point of that name.
    static let routeCheck = PointName("externalPreRouteCheck")
    /// Who alone may implement it.
    static let checker = PluginID("auth")
    static let version = PluginRegistry.platform

    var points: [PluginPoint] {
        switch self {
        case .chat:
            ExtensionPoint.all.map { PluginPoint(name: $0.name, mode: $0.mode, note: "") }
        case .keel: [PluginPoint(name: Self.routeCheck, mode: .single, note: "who calls from outside")]
        }
    }
}
