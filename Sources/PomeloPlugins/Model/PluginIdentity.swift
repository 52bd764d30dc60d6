// SPDX-License-Identifier: MIT
import PomeloCore
public import PomeloExtensions
public import PomeloJSON

/// A point of a plugin's own, at which others take part.
public struct PluginPoint: Sendable, Hashable {
    /// Its name.
    public let name: PointName
    /// How several implementers are asked; `single` when the plugin does not say.
    public let mode: ExtensionMode
    /// For people.
    public let note: String
}

/// Which of its own endpoints a plugin has for a point of another one.
public struct PluginEndpoint: Sendable, Hashable {
    /// The point.
    public let point: PointName
    /// Below the plugin's address; begins with `/`.
    public let path: String
    /// Smaller ones are asked first; 100 when the plugin does not say.
    public let priority: Int
}

/// What a plugin implements of another one's points.
public struct PluginBinding: Sendable, Hashable {
    /// Whose points.
    public let owner: PluginID
    /// For which version of the owner it was made; nil: for any.
    public let version: PluginVersion?
    /// A point each.
    public let endpoints: [PluginEndpoint]
}

/// What a plugin says of itself at `/v1/identify`.
public struct PluginIdentity: Sendable, Hashable {
    /// Its id.
    public let id: PluginID
    /// Its version.
    public let version: PluginVersion
    /// The oldest platform that it was made for; nil: any.
    public let platform: PluginVersion?
    /// Its own points.
    public let points: [PluginPoint]
    /// What it implements.
    public let bindings: [PluginBinding]

    /// Spelled as plugins spelled it first.
    public var json: JSON {
        var object: JSONObject = ["plugin_id": id.json, "version": .string(version.description)]
        if let platform { object["tkeel_version"] = .string(platform.description) }
        if !points.isEmpty {
            object["addons"] = .array(
                points.map { point in
                    [
                        "endpoint": .string(point.name.text), "desc": .string(point.note),
                        "mode": .string(point.mode.rawValue),
                    ]
                })
        }
        if !bindings.isEmpty { object["main_plugin"] = .array(bindings.map(\.json)) }
        return .object(object)
    }
}

extension PluginBinding {
    fileprivate var json: JSON {
        var object: JSONObject = ["id": owner.json]
        if let version { object["version"] = .string(version.description) }
        object["endpoints"] = .array(
            endpoints.map { endpoint in
                [
                    "addons": .string(endpoint.point.text), "endpoint": .string(endpoint.path),
                    "priority": .init(endpoint.priority),
                ]
            })
        return .object(object)
    }
}
