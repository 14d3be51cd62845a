with source as (
    select * from vocabulary.concept_relationship
),

final as (
    select
        concept_id_1 as source_concept_id,
        concept_id_2 as standard_concept_id
    from source
    where relationship_id = 'Maps to' and invalid_reason is null
)

select * from final
