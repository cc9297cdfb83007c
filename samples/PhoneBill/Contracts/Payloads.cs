namespace PhoneBill.Contracts;

// What events carry. The catalog says which keys each event drops and which fields name them.

/// <summary><c>user.created</c>, <c>user.updated</c>, <c>user.deleted</c>.</summary>
public sealed record UserChanged(string UserId);

/// <summary><c>customer.updated</c>: the customer's data is not what it was.</summary>
public sealed record CustomerUpdated(string LineNumber);

/// <summary><c>product.changed</c>: a line has another product from now on, and the month's bill is another one.</summary>
/// <param name="LineNumber">The line.</param>
/// <param name="ProductCode">Its new product.</param>
/// <param name="PreviousProductCode">What it had before.</param>
/// <param name="Month">The running month, whose bill changes.</param>
/// <param name="RequestId">The legacy system's answer that this bill was made from.</param>
public sealed record ProductChanged(string LineNumber, string ProductCode, string PreviousProductCode, string Month, string RequestId);

/// <summary><c>product.updated</c>: a product's own name or fee is not what it was, and so are the lists that have it.</summary>
public sealed record ProductUpdated(string ProductCode, IReadOnlyList<string> CustomerTypes);

/// <summary><c>permission.changed</c>: a user may do more or less.</summary>
public sealed record PermissionChanged(string UserId);

/// <summary><c>line_status.changed</c>: a line was suspended, resumed, or got another product.</summary>
public sealed record LineStatusChanged(string LineNumber, string State);
