using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Onggi.Events;
using PhoneBill.Contracts;

namespace PhoneBill.Users;

public sealed record NewUser(string Id, string Name, string Email, string Role, string Password);

public sealed record UserEdit(string Name, string Email, string Role);

/// <summary>Writes to the database first, then publishes: every cached copy is gone before the caller has the answer.</summary>
public sealed partial class UserChanges(IDbContextFactory<PhoneBillDb> databases, OnggiEvents events)
{
    public async Task<IResult> CreateAsync(NewUser user, CancellationToken cancellationToken)
    {
        if (!IdPattern().IsMatch(user.Id))
            return Inputs.Problem("This is not a user id", $"'{user.Id}' must be 3 to 40 lower-case letters, digits, dots and dashes.");
        if (user.Password.Length < 10)
            return Inputs.Problem("The password is too short", $"It has {user.Password.Length} characters. Write at least 10.");
        if (Wrong(user.Name, user.Email) is { } problem)
            return problem;

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Users.AnyAsync(row => row.Id == user.Id, cancellationToken))
            return TypedResults.Problem($"There is a user '{user.Id}' already.", title: "Taken", statusCode: StatusCodes.Status409Conflict);

        var row = new UserRow
        {
            Id = user.Id,
            Name = user.Name,
            Email = user.Email,
            Role = user.Role,
            PasswordHash = Passwords.Hash(user.Password),
        };
        db.Users.Add(row);
        await db.SaveChangesAsync(cancellationToken);
        await events.PublishAsync(EventTypes.UserCreated, new UserChanged(user.Id), Metadata(user.Id), cancellationToken);
        return TypedResults.Created($"/api/users/{user.Id}", row.ToUser());
    }

    public async Task<IResult> UpdateAsync(string id, UserEdit edit, CancellationToken cancellationToken)
    {
        if (Wrong(edit.Name, edit.Email) is { } problem)
            return problem;

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Users.FindAsync([id], cancellationToken) is not { } row)
            return Inputs.NotFound($"There is no user '{id}'.");

        (row.Name, row.Email, row.Role) = (edit.Name, edit.Email, edit.Role);
        await db.SaveChangesAsync(cancellationToken);
        await events.PublishAsync(EventTypes.UserUpdated, new UserChanged(id), Metadata(id), cancellationToken);
        return TypedResults.Ok(row.ToUser());
    }

    public async Task<IResult> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Users.Where(row => row.Id == id).ExecuteDeleteAsync(cancellationToken) == 0)
            return Inputs.NotFound($"There is no user '{id}'.");

        await db.Permissions.Where(row => row.UserId == id).ExecuteDeleteAsync(cancellationToken);
        await events.PublishAsync(EventTypes.UserDeleted, new UserChanged(id), Metadata(id), cancellationToken);
        return TypedResults.NoContent();
    }

    private static Dictionary<string, string> Metadata(string id) => new() { ["user_id"] = id };

    private static ProblemHttpResult? Wrong(string name, string email) =>
        string.IsNullOrWhiteSpace(name) ? Inputs.Problem("The name is missing", "Write the user's name.")
        : email.Contains('@') ? null
        : Inputs.Problem("This is not an e-mail address", $"'{email}' has no @.");

    [GeneratedRegex(@"\A[a-z0-9.-]{3,40}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 100)]
    private static partial Regex IdPattern();
}
