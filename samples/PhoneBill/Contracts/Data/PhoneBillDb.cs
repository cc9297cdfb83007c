using Microsoft.EntityFrameworkCore;

namespace PhoneBill.Contracts;

/// <summary>The services' database: SQLite by default, PostgreSQL when the connection string is one of its own.</summary>
public sealed class PhoneBillDb(DbContextOptions<PhoneBillDb> options) : DbContext(options)
{
    public DbSet<UserRow> Users => Set<UserRow>();
    public DbSet<PermissionRow> Permissions => Set<PermissionRow>();
    public DbSet<LineRow> Lines => Set<LineRow>();
    public DbSet<ProductRow> Products => Set<ProductRow>();
    public DbSet<CodeRow> Codes => Set<CodeRow>();
    public DbSet<SettingRow> Settings => Set<SettingRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<UserRow>().HasKey(user => user.Id);
        modelBuilder.Entity<PermissionRow>().HasKey(permission => new { permission.UserId, permission.Name });
        modelBuilder.Entity<LineRow>().HasKey(line => line.LineNumber);
        modelBuilder.Entity<ProductRow>().HasKey(product => product.Code);
        modelBuilder.Entity<CodeRow>().HasKey(code => new { code.Group, code.Code });
        modelBuilder.Entity<SettingRow>().HasKey(setting => new { setting.System, setting.Name });
    }
}

public sealed class UserRow
{
    public required string Id { get; init; }
    public required string Name { get; set; }
    public required string Email { get; set; }
    public required string Role { get; set; }
    public required string PasswordHash { get; set; }

    public User ToUser() => new(Id, Name, Email, Role);
}

public sealed class PermissionRow
{
    public required string UserId { get; init; }
    public required string Name { get; init; }
}

public sealed class LineRow
{
    public required string LineNumber { get; init; }
    public required string CustomerName { get; set; }
    public required string CustomerType { get; set; }
    public required string ProductCode { get; set; }
    public required DateOnly JoinedOn { get; init; }
    public required string State { get; set; }
    public required DateTimeOffset StateSince { get; set; }

    public Customer ToCustomer() => new(LineNumber, CustomerName, CustomerType, ProductCode, JoinedOn);

    public LineStatus ToStatus() => new(LineNumber, State, ProductCode, StateSince);
}

public sealed class ProductRow
{
    public required string Code { get; init; }
    public required string Name { get; set; }
    public required int MonthlyFee { get; set; }
    public required string DataAllowance { get; set; }

    /// <summary>Comma-separated: <c>general,youth</c>.</summary>
    public required string CustomerTypes { get; set; }

    public Product ToProduct() => new(Code, Name, MonthlyFee, DataAllowance, CustomerTypes.Split(','));
}

public sealed class CodeRow
{
    public required string Group { get; init; }
    public required string Code { get; init; }
    public required string Name { get; set; }
}

public sealed class SettingRow
{
    public required string System { get; init; }
    public required string Name { get; init; }
    public required string Value { get; set; }
}
