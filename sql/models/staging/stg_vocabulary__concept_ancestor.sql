with source as (
    select * from vocabulary.concept_ancestor
),

final as (
    select
        ancestor_concept_id,
        descendant_concept_id,
        min_levels_of_separation,
        max_levels_of_separation
    from source
)

select * from final
