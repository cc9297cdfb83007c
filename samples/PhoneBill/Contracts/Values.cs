namespace PhoneBill.Contracts;

// What stands in Redis, as plain JSON. The catalog (keyspace.json) names these types; any program can read them with GET.

/// <summary>The customer who pays for a line.</summary>
public sealed record Customer(string LineNumber, string Name, string CustomerType, string ProductCode, DateOnly JoinedOn);

/// <summary>A price plan; the fee is in won per month.</summary>
public sealed record Product(string Code, string Name, int MonthlyFee, string DataAllowance, IReadOnlyList<string> CustomerTypes);

/// <summary>What a user may do.</summary>
public sealed record Permissions(string UserId, IReadOnlyList<string> Granted);

/// <summary>The products that a type of customer may change to.</summary>
public sealed record AvailableProducts(string CustomerType, IReadOnlyList<Product> Products);

/// <summary>Whether a line is in use.</summary>
public sealed record LineStatus(string LineNumber, string State, string ProductCode, DateTimeOffset Since);

/// <summary>An answer of the legacy system, in its own words and kept as it came: amounts in won.</summary>
public sealed record KosResponse(string RequestId, string SvcNo, string BillYm, string ProdCd, int BaseAmt, int UseAmt, int DiscAmt);

/// <summary>A user of these services.</summary>
public sealed record User(string Id, string Name, string Email, string Role);

/// <summary>A list of users.</summary>
public sealed record UserList(IReadOnlyList<User> Users);

/// <summary>A month's bill of a line; amounts are in won. Of the product it has the code only: a name in here would outlive a renaming.</summary>
public sealed record Bill(string LineNumber, string Month, string ProductCode, IReadOnlyList<Charge> Charges, int Total);

/// <summary>One row of a bill; discounts are negative.</summary>
public sealed record Charge(string Name, int Amount);

/// <summary>A group of codes and what they mean.</summary>
public sealed record CommonCodes(string Group, IReadOnlyDictionary<string, string> Names);

/// <summary>Settings of a system, by name.</summary>
public sealed record SystemConfig(string Name, IReadOnlyDictionary<string, string> Values);
