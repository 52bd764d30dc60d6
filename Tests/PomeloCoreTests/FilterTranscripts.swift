// SPDX-License-Identifier: MIT

/// The order of filters and the way of errors, one transcript a row: a title, what is set up and asked, `----`, and
/// everything that happens; the answer stands last.
///
/// `connector-1` is the frontend that the client asks, `chat-1` and `chat-2` are the servers of `chat`. A part does
/// nothing but note that it was there, unless the line says more.
let filterTranscripts = [
    """
    a local request passes global filters, filters, the handler, and back
    connector-1 globalFilter g
    connector-1 filter a
    connector-1 filter b
    request connector.test.go
    ----
    g before
    a before
    b before
    connector-1 handler
    b after {}
    a after {}
    g after {}
    answer {}
    """,
    """
    a forwarded request passes the frontend's global and rpc filters, and the filters of the backend
    connector-1 globalFilter g
    connector-1 rpcFilter r
    connector-1 filter not-here
    chat-1 filter a
    chat-1 filter b
    chat-1 globalFilter nor-here
    chat-1 rpcFilter nor-there
    request chat.test.go
    ----
    g before
    r before chat-1
    a before
    b before
    chat-1 handler
    b after {}
    a after {}
    r after chat-1 {}
    g after {}
    answer {}
    """,
    """
    before and after parts alone, in order of registration and in reverse
    connector-1 before a
    connector-1 after b
    connector-1 before c
    connector-1 after d
    connector-1 globalBefore e
    connector-1 globalAfter f
    request connector.test.go
    ----
    e before
    a before
    c before
    connector-1 handler
    d after {}
    b after {}
    f after {}
    answer {}
    """,
    """
    rpc after-filters run in order of registration
    connector-1 rpcFilter a
    connector-1 rpcBefore b
    connector-1 rpcAfter c
    request chat.test.go
    ----
    a before chat-1
    b before chat-1
    chat-1 handler
    a after chat-1 {}
    c after chat-1 {}
    answer {}
    """,
    """
    an error of a before-filter ends the request, and all after-filters run
    connector-1 filter a
    connector-1 filter b refuses 403
    connector-1 filter c
    connector-1 globalAfter g
    request connector.test.go
    ----
    a before
    b before
    c after fault 403
    b after fault 403
    a after fault 403
    g after fault 403
    answer {"code":403}
    """,
    """
    an error of a global before-filter keeps a request from the backend
    connector-1 globalFilter g refuses 403
    connector-1 globalFilter h
    connector-1 rpcFilter r
    chat-1 filter a
    request chat.test.go
    ----
    g before
    h after fault 403
    g after fault 403
    answer {"code":403}
    """,
    """
    an error of an rpc before-filter keeps a request from the backend
    connector-1 rpcFilter r refuses 403
    connector-1 rpcFilter s
    connector-1 globalAfter g
    chat-1 filter a
    request chat.test.go
    ----
    r before chat-1
    r after chat-1 fault 403
    s after chat-1 fault 403
    g after fault 403
    answer {"code":403}
    """,
    """
    an error of a handler goes on through after-filters
    connector-1 handler throws 404
    connector-1 filter a
    connector-1 filter b
    request connector.test.go
    ----
    a before
    b before
    connector-1 handler
    b after fault 404
    a after fault 404
    answer {"code":404}
    """,
    """
    an error of a backend's handler goes on at the frontend
    chat-1 handler throws 404
    chat-1 filter a
    connector-1 globalFilter g
    connector-1 rpcFilter r
    request chat.test.go
    ----
    g before
    r before chat-1
    a before
    chat-1 handler
    a after fault 404
    r after chat-1 {"code":404}
    g after {"code":404}
    answer {"code":404}
    """,
    """
    an error stays unless an after-filter replaces it
    connector-1 handler throws 500
    connector-1 after a
    connector-1 after b replaces {"mended":true}
    connector-1 after c
    request connector.test.go
    ----
    connector-1 handler
    c after fault 500
    b after fault 500
    a after {"mended":true}
    answer {"mended":true}
    """,
    """
    a global after-filter may change the answer of another server
    connector-1 globalAfter g replaces {"changed":true}
    request chat.test.go
    ----
    chat-1 handler
    g after {}
    answer {"changed":true}
    """,
    """
    an after-filter may turn a reply into an error
    connector-1 after a
    connector-1 after b replaces 1001
    request connector.test.go
    ----
    connector-1 handler
    b after {}
    a after fault 1001
    answer {"code":1001}
    """,
    """
    a handler that is not there is an error like others
    connector-1 filter a
    connector-1 errorHandler e
    request connector.test.missing
    ----
    a before
    e error connector-1, of type connector, has no handler for connector.test.missing
    a after connector-1, of type connector, has no handler for connector.test.missing
    answer {"code":500}
    """,
    """
    the error handler is asked before the after-filters
    connector-1 handler throws 500
    connector-1 after a
    connector-1 errorHandler e replaces {"code":200}
    request connector.test.go
    ----
    connector-1 handler
    e error fault 500
    a after {"code":200}
    answer {"code":200}
    """,
    """
    the error handler is asked about before-filters too
    connector-1 filter a refuses 403
    connector-1 errorHandler e replaces 1003
    request connector.test.go
    ----
    a before
    e error fault 403
    a after fault 1003
    answer {"code":1003}
    """,
    """
    error handlers are not asked about replies
    connector-1 errorHandler e
    connector-1 globalErrorHandler g
    request connector.test.go
    ----
    connector-1 handler
    answer {}
    """,
    """
    the global error handler is asked about global before-filters
    connector-1 globalFilter a refuses 403
    connector-1 globalErrorHandler e replaces {"code":1}
    request chat.test.go
    ----
    a before
    e error fault 403
    a after {"code":1}
    answer {"code":1}
    """,
    """
    the global error handler is asked about what a handler's error handler left
    connector-1 handler throws 500
    connector-1 errorHandler e replaces 1004
    connector-1 globalErrorHandler g replaces 1005
    request connector.test.go
    ----
    connector-1 handler
    e error fault 500
    g error fault 1004
    answer {"code":1005}
    """,
    """
    the rpc error handler may answer in the place of a server that refused
    connector-1 rpcFilter r refuses 503
    connector-1 rpcErrorHandler e replaces {"late":true}
    request chat.test.go
    ----
    r before chat-1
    e error fault 503
    r after chat-1 {"late":true}
    answer {"late":true}
    """,
    """
    an rpc before-filter may choose another server
    connector-1 rpcBefore r redirects chat-2
    connector-1 rpcAfter s
    chat-1 filter not-here
    chat-2 filter a
    request chat.test.go
    ----
    r before chat-1
    a before
    chat-2 handler
    a after {}
    s after chat-2 {}
    answer {}
    """,
    """
    an rpc before-filter may replace the body
    connector-1 rpcBefore r rewrites {"changed":true}
    chat-1 handler echoes
    request chat.test.go
    ----
    r before chat-1
    chat-1 handler
    answer {"changed":true}
    """,
    """
    a before-filter that never returns is answered at the deadline
    connector-1 filter a hangs
    connector-1 filter b
    request connector.test.go
    ----
    a before
    answer after 30 s {"code":500}
    """,
    """
    an rpc before-filter that never returns is answered at the deadline
    connector-1 rpcFilter a hangs
    connector-1 globalFilter g
    request chat.test.go
    ----
    g before
    a before chat-1
    a after chat-1 not sent: the filters of chat.test.go took all its time
    g after not sent: the filters of chat.test.go took all its time
    answer after 30 s {"code":500}
    """,
    """
    a backend's filter that never returns is answered at the deadline
    connector-1 globalFilter g
    chat-1 filter a hangs
    request chat.test.go
    ----
    g before
    a before
    g after no answer (may have executed): no answer within the deadline
    answer after 30 s {"code":500}
    """,
]
