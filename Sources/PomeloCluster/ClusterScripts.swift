// SPDX-License-Identifier: MIT
public import PomeloRedis

/// The scripts of the registry; their texts are the files of `Scripts/`, which say what each one takes and answers.
public enum ClusterScripts {
    /// Joins, takes over, changes state, or comes back.
    public static let put = RedisScript(name: "cluster.put", source: withInstance(PackageResources.put_lua))
    /// Renews a lease.
    public static let renew = RedisScript(name: "cluster.renew", source: withInstance(PackageResources.renew_lua))
    /// Makes a lease hash an instance's own.
    public static let claim = RedisScript(name: "cluster.claim", source: text(PackageResources.claim_lua))
    /// Removes a server that leaves or is gone.
    public static let remove = RedisScript(name: "cluster.remove", source: withInstance(PackageResources.remove_lua))
    /// Tells whether a server's lease has ended.
    public static let gone = RedisScript(name: "cluster.gone", source: text(PackageResources.gone_lua))
    /// Finds changes, and leases that have ended.
    public static let look = RedisScript(name: "cluster.look", source: text(PackageResources.look_lua))
    /// Reads the whole registry.
    public static let view = RedisScript(name: "cluster.view", source: text(PackageResources.view_lua))
    /// Has servers cleaned up after once more.
    public static let revisit = RedisScript(name: "cluster.revisit", source: text(PackageResources.revisit_lua))
    /// Begins a clean-up.
    public static let begin = RedisScript(name: "cluster.begin", source: text(PackageResources.begin_lua))
    /// Renews a clean-up token.
    public static let proceed = RedisScript(
        name: "cluster.proceed", source: text(PackageResources.proceed_lua))
    /// Ends a clean-up.
    public static let finish = RedisScript(name: "cluster.finish", source: text(PackageResources.finish_lua))
    /// Takes an office, or renews a term.
    public static let stand = RedisScript(name: "cluster.stand", source: text(PackageResources.stand_lua))
    /// Gives an office back.
    public static let resign = RedisScript(name: "cluster.resign", source: text(PackageResources.resign_lua))

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A script behind `instance.lua`, which goes into its first line: so lines are counted as in the script's file.
    private static func withInstance(_ bytes: [UInt8]) -> String {
        let code = text(PackageResources.instance_lua).split(separator: "\n").filter { !$0.hasPrefix("--") }
        return code.joined(separator: " ") + " " + text(bytes)
    }
}
