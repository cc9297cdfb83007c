using Microsoft.EntityFrameworkCore;
using PhoneBill.Contracts;

namespace PhoneBill.Users;

public static class UserEndpoints
{
    public static void MapUsers(this WebApplication app)
    {
        var api = app.MapGroup("/api/users").RequireAuthorization();

        api.MapGet(
                "/",
                async (HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.ReadAsync(Keys.UserList("all"), AllAsync, cancellationToken), "There are no users.")
            )
            .Answers<UserList>("All users.");

        api.MapGet(
                "/{id}",
                async (string id, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.UserAsync(id, cancellationToken), $"There is no user '{id}'.")
            )
            .Answers<User>("One user.");

        var writing = api.MapGroup("/").RequirePermission("user.write");

        writing
            .MapPost(
                "/",
                (NewUser user, UserChanges changes, CancellationToken cancellationToken) => changes.CreateAsync(user, cancellationToken)
            )
            .Answers<User>("Adds a user.", StatusCodes.Status201Created);
        writing
            .MapPut(
                "/{id}",
                (string id, UserEdit edit, UserChanges changes, CancellationToken cancellationToken) =>
                    changes.UpdateAsync(id, edit, cancellationToken)
            )
            .Answers<User>("Changes a user; every cached copy is dropped.");
        writing
            .MapDelete(
                "/{id}",
                (string id, UserChanges changes, CancellationToken cancellationToken) => changes.DeleteAsync(id, cancellationToken)
            )
            .AnswersNothing("Removes a user and all rights of that user.");
    }

    private static async Task<UserList?> AllAsync(PhoneBillDb db, CancellationToken cancellationToken)
    {
        var rows = await db.Users.OrderBy(row => row.Id).ToListAsync(cancellationToken);
        return new UserList(rows.ConvertAll(row => row.ToUser()));
    }
}
