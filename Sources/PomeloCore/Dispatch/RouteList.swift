// SPDX-License-Identifier: MIT

/// Lists routes, one `on` a line, in their order; `if`, `switch`, `for` and lists of routes may stand between.
@resultBuilder public enum RouteList {
    /// One route.
    public static func buildExpression(_ route: ServedRoute) -> [ServedRoute] { [route] }
    /// Routes that were listed elsewhere.
    public static func buildExpression(_ routes: [ServedRoute]) -> [ServedRoute] { routes }
    /// One after the other.
    public static func buildBlock(_ parts: [ServedRoute]...) -> [ServedRoute] { parts.flatMap(\.self) }
    /// `if` without `else`.
    public static func buildOptional(_ routes: [ServedRoute]?) -> [ServedRoute] { routes ?? [] }
    /// `if` with `else`, and `switch`.
    public static func buildEither(first routes: [ServedRoute]) -> [ServedRoute] { routes }
    /// `if` with `else`, and `switch`.
    public static func buildEither(second routes: [ServedRoute]) -> [ServedRoute] { routes }
    /// `for`.
    public static func buildArray(_ parts: [[ServedRoute]]) -> [ServedRoute] { parts.flatMap(\.self) }
}
